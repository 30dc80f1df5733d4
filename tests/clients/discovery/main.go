// Calls whatever servers are registered as go-timeline, with the published Go client (kratos).
//
//	go run . -etcd 127.0.0.1:2379 -transport grpc
//
// Each line of its input is a number of calls to make; then it prints who answered how many of
// them and what the others failed of, as JSON. A server says who it is in the inbox of "who".
//
// With -chat each call sends a message {"n":N} from "ann" to "ben" and then syncs the inbox of
// "ben" from where it stands; it prints what was acknowledged and what was read, from the start.
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

// What both transports can do.
type timeline struct {
	send func(context.Context, *pb.SendMessageRequest) (*pb.SendMessageReply, error)
	sync func(context.Context, *pb.SyncMessageRequest) (*pb.SyncMessageReply, error)
}

func main() {
	etcdAddress := flag.String("etcd", "127.0.0.1:2379", "where etcd is")
	transport := flag.String("transport", "grpc", "grpc or http")
	chats := flag.Bool("chat", false, "send and sync instead of asking who answers")
	flag.Parse()
	// Standard output is for answers.
	log.SetLogger(log.NewStdLogger(os.Stderr))
	timeline, err := connect(*etcdAddress, *transport)
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(1)
	}
	chat := chat{Acknowledged: map[string]int64{}, Failed: map[string]int{}}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		count, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			fmt.Fprintln(os.Stderr, "FAILED:", err)
			os.Exit(1)
		}
		var answers interface{}
		if *chats {
			chat.goOn(timeline, count)
			answers = chat
		} else {
			answers = ask(timeline, count)
		}
		json.NewEncoder(os.Stdout).Encode(answers)
	}
}

func connect(etcdAddress, transport string) (*timeline, error) {
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
		client := pb.NewTimelineHTTPClient(connection)
		return &timeline{
			func(ctx context.Context, in *pb.SendMessageRequest) (*pb.SendMessageReply, error) {
				return client.Send(ctx, in)
			},
			func(ctx context.Context, in *pb.SyncMessageRequest) (*pb.SyncMessageReply, error) {
				return client.GetSyncMessage(ctx, in)
			},
		}, nil
	}
	connection, err := grpc.DialInsecure(ctx, grpc.WithEndpoint(endpoint),
		grpc.WithDiscovery(registry), grpc.WithTimeout(timeout))
	if err != nil {
		return nil, err
	}
	grpcClient := pb.NewTimelineClient(connection)
	return &timeline{
		func(ctx context.Context, in *pb.SendMessageRequest) (*pb.SendMessageReply, error) {
			return grpcClient.Send(ctx, in)
		},
		func(ctx context.Context, in *pb.SyncMessageRequest) (*pb.SyncMessageReply, error) {
			return grpcClient.GetSyncMessage(ctx, in)
		},
	}, nil
}

type answers struct {
	Answered map[string]int `json:"answered"`
	Failed   map[string]int `json:"failed"`
}

func ask(timeline *timeline, count int) answers {
	all := answers{Answered: map[string]int{}, Failed: map[string]int{}}
	for i := 0; i < count; i++ {
		page, err := timeline.sync(context.Background(), &pb.SyncMessageRequest{Member: "who"})
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

// Everything from the start on.
type chat struct {
	// By message, its number in the inbox.
	Acknowledged map[string]int64 `json:"acknowledged"`
	Failed       map[string]int   `json:"failed"`
	// The messages of the inbox, in its order.
	Inbox []string `json:"inbox"`
	sent  int
}

func (c *chat) goOn(timeline *timeline, count int) {
	for i := 0; i < count; i++ {
		message := fmt.Sprintf(`{"n":%d}`, c.sent)
		c.sent++
		reply, err := timeline.send(context.Background(),
			&pb.SendMessageRequest{From: "ann", To: "ben", Message: message})
		if err != nil {
			c.Failed[err.Error()]++
			continue
		}
		c.Acknowledged[message] = reply.Sequence
		// Once or twice: servers take turns, and each shall have sends and syncs.
		for again := 0; again <= i%2; again++ {
			c.sync(timeline)
		}
	}
}

func (c *chat) sync(timeline *timeline) {
	page, err := timeline.sync(context.Background(),
		&pb.SyncMessageRequest{Member: "ben", LastRead: int64(len(c.Inbox))})
	if err != nil {
		c.Failed[err.Error()]++
		return
	}
	for _, entry := range page.EntrySet {
		if entry.Sequence != int64(len(c.Inbox)+1) {
			c.Failed[fmt.Sprintf("%d after %d", entry.Sequence, len(c.Inbox))]++
			return
		}
		c.Inbox = append(c.Inbox, entry.Message)
	}
}
