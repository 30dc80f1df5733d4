// Drives a running server with the published Go client of go-timeline (kratos), over gRPC and
// over HTTP, and fails on the first answer that is not the wanted one.
//
//	go run . -http 127.0.0.1:8000 -grpc 127.0.0.1:9000
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/go-kratos/kratos/v2/middleware"
	"github.com/go-kratos/kratos/v2/transport"
	"github.com/go-kratos/kratos/v2/transport/grpc"
	"github.com/go-kratos/kratos/v2/transport/http"
	pb "github.com/gomicroim/go-timeline/api/v1"
)

// Long enough for a busy machine: kratos' own default is two seconds.
const timeout = 60 * time.Second

// calls are the five calls of the service, whatever carries them.
type calls struct {
	name    string
	send    func(context.Context, *pb.SendMessageRequest) (*pb.SendMessageReply, error)
	group   func(context.Context, *pb.SendGroupRequest) (*pb.SendGroupReply, error)
	sync    func(context.Context, *pb.SyncMessageRequest) (*pb.SyncMessageReply, error)
	single  func(context.Context, *pb.GetSingleHistoryMessageRequest) (*pb.GetSingleHistoryMessageReply, error)
	history func(context.Context, *pb.GetGroupHistoryMessageRequest) (*pb.GetGroupHistoryMessageReply, error)
}

type keyOf struct{}

// withKey makes the next call carry an idempotency key.
func withKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyOf{}, key)
}

// idempotency is how a kratos service adds the key: gRPC metadata or an HTTP header, the same way.
func idempotency(next middleware.Handler) middleware.Handler {
	return func(ctx context.Context, request interface{}) (interface{}, error) {
		if key, ok := ctx.Value(keyOf{}).(string); ok {
			if client, ok := transport.FromClientContext(ctx); ok {
				client.RequestHeader().Set("Idempotency-Key", key)
			}
		}
		return next(ctx, request)
	}
}

func overGRPC(ctx context.Context, address string) (*calls, error) {
	connection, err := grpc.DialInsecure(ctx, grpc.WithEndpoint(address),
		grpc.WithTimeout(timeout), grpc.WithMiddleware(idempotency))
	if err != nil {
		return nil, err
	}
	client := pb.NewTimelineClient(connection)
	return &calls{
		name: "gRPC",
		send: func(ctx context.Context, in *pb.SendMessageRequest) (*pb.SendMessageReply, error) {
			return client.Send(ctx, in)
		},
		group: func(ctx context.Context, in *pb.SendGroupRequest) (*pb.SendGroupReply, error) {
			return client.SendGroup(ctx, in)
		},
		sync: func(ctx context.Context, in *pb.SyncMessageRequest) (*pb.SyncMessageReply, error) {
			return client.GetSyncMessage(ctx, in)
		},
		single: func(ctx context.Context, in *pb.GetSingleHistoryMessageRequest) (*pb.GetSingleHistoryMessageReply, error) {
			return client.GetSingleHistoryMessage(ctx, in)
		},
		history: func(ctx context.Context, in *pb.GetGroupHistoryMessageRequest) (*pb.GetGroupHistoryMessageReply, error) {
			return client.GetGroupHistoryMessage(ctx, in)
		},
	}, nil
}

// overHTTP sends bodies of the given content type, for example application/proto.
func overHTTP(ctx context.Context, address, contentType string) (*calls, error) {
	connection, err := http.NewClient(ctx, http.WithEndpoint(address),
		http.WithTimeout(timeout), http.WithMiddleware(idempotency))
	if err != nil {
		return nil, err
	}
	client := pb.NewTimelineHTTPClient(connection)
	body := http.ContentType(contentType)
	return &calls{
		name: "HTTP " + contentType,
		send: func(ctx context.Context, in *pb.SendMessageRequest) (*pb.SendMessageReply, error) {
			return client.Send(ctx, in, body)
		},
		group: func(ctx context.Context, in *pb.SendGroupRequest) (*pb.SendGroupReply, error) {
			return client.SendGroup(ctx, in, body)
		},
		sync: func(ctx context.Context, in *pb.SyncMessageRequest) (*pb.SyncMessageReply, error) {
			return client.GetSyncMessage(ctx, in)
		},
		single: func(ctx context.Context, in *pb.GetSingleHistoryMessageRequest) (*pb.GetSingleHistoryMessageReply, error) {
			return client.GetSingleHistoryMessage(ctx, in)
		},
		history: func(ctx context.Context, in *pb.GetGroupHistoryMessageRequest) (*pb.GetGroupHistoryMessageReply, error) {
			return client.GetGroupHistoryMessage(ctx, in)
		},
	}, nil
}

func main() {
	httpAddress := flag.String("http", "127.0.0.1:8000", "where the server listens for HTTP")
	grpcAddress := flag.String("grpc", "127.0.0.1:9000", "where the server listens for gRPC")
	flag.Parse()
	if err := run(context.Background(), *httpAddress, *grpcAddress); err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(1)
	}
	fmt.Println("all good")
}

func run(ctx context.Context, httpAddress, grpcAddress string) error {
	throughGRPC, err := overGRPC(ctx, grpcAddress)
	if err != nil {
		return err
	}
	throughJSON, err := overHTTP(ctx, httpAddress, "application/json")
	if err != nil {
		return err
	}
	throughProto, err := overHTTP(ctx, httpAddress, "application/proto")
	if err != nil {
		return err
	}
	// Ids of their own, so that every transport finds empty timelines on the one server.
	for prefix, calls := range map[string]*calls{"g-": throughGRPC, "j-": throughJSON, "p-": throughProto} {
		for _, check := range checks {
			if err := check.run(ctx, calls, prefix); err != nil {
				return fmt.Errorf("%s, %s: %w", calls.name, check.name, err)
			}
			fmt.Printf("ok: %s, %s\n", calls.name, check.name)
		}
	}
	return transportsShareTheirData(ctx, throughGRPC, throughJSON)
}
