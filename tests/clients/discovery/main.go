// Calls whatever servers are registered as go-timeline, with the published Go client (kratos).
//
//	go run . -etcd 127.0.0.1:2379 -transport grpc
//
// Each line of its input is a number of calls to make; then it prints who answered how many of
// them and what the others failed of, as JSON. A server says who it is in the inbox of "who".
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-kratos/kratos/contrib/registry/etcd/v2"
	"github.com/go-kratos/kratos/v2/log"
	"github.com/go-kratos/kratos/v2/transport/grpc"
	"github.com/go-kratos/kratos/v2/transport/http"
	pb "github.com/gomicroim/go-timeline/api/v1"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const endpoint = "discovery:///go-timeline"

// Long enough for a busy machine: kratos' own default is two seconds.
const timeout = 60 * time.Second

type sync func(context.Context, *pb.SyncMessageRequest) (*pb.SyncMessageReply, error)

func main() {
	etcdAddress := flag.String("etcd", "127.0.0.1:2379", "where etcd is")
	transport := flag.String("transport", "grpc", "grpc or http")
	flag.Parse()
	// Standard output is for answers.
	log.SetLogger(log.NewStdLogger(os.Stderr))
	call, err := connect(*etcdAddress, *transport)
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(1)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		count, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			fmt.Fprintln(os.Stderr, "FAILED:", err)
			os.Exit(1)
		}
		json.NewEncoder(os.Stdout).Encode(calls(call, count))
	}
}

func connect(etcdAddress, transport string) (sync, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{etcdAddress}})
	if err != nil {
		return nil, err
	}
	registry, ctx := etcd.New(client), context.Background()
	if transport == "http" {
		connection, err := http.NewClient(ctx, http.WithEndpoint(endpoint), http.WithBlock(),
			http.WithDiscovery(registry), http.WithTimeout(timeout))
		if err != nil {
			return nil, err
		}
		timeline := pb.NewTimelineHTTPClient(connection)
		return func(ctx context.Context, in *pb.SyncMessageRequest) (*pb.SyncMessageReply, error) {
			return timeline.GetSyncMessage(ctx, in)
		}, nil
	}
	connection, err := grpc.DialInsecure(ctx, grpc.WithEndpoint(endpoint),
		grpc.WithDiscovery(registry), grpc.WithTimeout(timeout))
	if err != nil {
		return nil, err
	}
	timeline := pb.NewTimelineClient(connection)
	return func(ctx context.Context, in *pb.SyncMessageRequest) (*pb.SyncMessageReply, error) {
		return timeline.GetSyncMessage(ctx, in)
	}, nil
}

type answers struct {
	Answered map[string]int `json:"answered"`
	Failed   map[string]int `json:"failed"`
}

func calls(call sync, count int) answers {
	all := answers{Answered: map[string]int{}, Failed: map[string]int{}}
	for i := 0; i < count; i++ {
		page, err := call(context.Background(), &pb.SyncMessageRequest{Member: "who"})
		switch {
		case err != nil:
			all.Failed[err.Error()]++
		case len(page.EntrySet) != 1:
			all.Failed["a server without a name"]++
		default:
			var message struct{ Server string }
			if err := json.Unmarshal([]byte(page.EntrySet[0].Message), &message); err != nil {
				all.Failed[err.Error()]++
				continue
			}
			all.Answered[message.Server]++
		}
	}
	return all
}
