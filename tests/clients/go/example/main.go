// The example of the README.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/go-kratos/kratos/v2/transport/grpc"
	timeline "github.com/gomicroim/go-timeline/api/v1"
)

func main() {
	ctx := context.Background()
	conn, err := grpc.DialInsecure(ctx, grpc.WithEndpoint("127.0.0.1:9000"))
	if err != nil {
		log.Fatal(err)
	}
	client := timeline.NewTimelineClient(conn)
	sent, err := client.Send(ctx, &timeline.SendMessageRequest{
		From: "ann", To: "bob", Message: `{"text":"hello"}`,
	})
	if err != nil {
		log.Fatal(err)
	}
	page, err := client.GetSyncMessage(ctx, &timeline.SyncMessageRequest{
		Member: "bob", LastRead: sent.Sequence - 1, Count: 100,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, entry := range page.EntrySet {
		fmt.Println(entry.Sequence, entry.Message)
	}
}
