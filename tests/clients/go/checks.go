package main

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-kratos/kratos/v2/errors"
	pb "github.com/gomicroim/go-timeline/api/v1"
)

// checks run in this order on timelines whose ids begin with the prefix p.
var checks = []struct {
	name string
	run  func(ctx context.Context, c *calls, p string) error
}{
	{"the chat of the README", chat},
	{"pages", pages},
	{"messages come back byte for byte", exact},
	{"a member that never received anything", unknown},
	{"errors", refusals},
	{"idempotency keys", keys},
}

func text(text string) string { return `{"text":"` + text + `"}` }

func chat(ctx context.Context, c *calls, p string) error {
	a, b, cc, d, group := p+"a", p+"b", p+"c", p+"d", p+"group_a"
	for i, message := range []*pb.SendMessageRequest{
		{From: a, To: b, Message: text("吃了吗？")},
		{From: b, To: a, Message: text("吃了")},
	} {
		reply, err := c.send(ctx, message)
		// The first is the receiver's first entry, the second one its second.
		if err := want(err, reply.GetSequence(), int64(i+1)); err != nil {
			return err
		}
	}
	words := []string{"大家好", "你好", "晚上吃什么"}
	for i, sender := range []string{a, cc, a} {
		reply, err := c.group(ctx, &pb.SendGroupRequest{
			GroupName: group, GroupMembers: []string{a, cc, d},
			Message: `{"from":"` + sender + `","text":"` + words[i] + `"}`,
		})
		if err := want(err, len(reply.GetFailedMembers()), 0); err != nil {
			return err
		}
	}

	direct := []string{text("吃了吗？"), text("吃了")}
	inGroup := []string{
		`{"from":"` + a + `","text":"大家好"}`,
		`{"from":"` + cc + `","text":"你好"}`,
		`{"from":"` + a + `","text":"晚上吃什么"}`,
	}
	for member, messages := range map[string][]string{
		a: append(append([]string{}, direct...), inGroup...), b: direct, cc: inGroup, d: inGroup,
	} {
		page, err := c.sync(ctx, &pb.SyncMessageRequest{Member: member})
		if err := wantPage(err, page, 0, messages, len(messages)); err != nil {
			return fmt.Errorf("sync of %s: %w", member, err)
		}
	}
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		single, err := c.single(ctx, &pb.GetSingleHistoryMessageRequest{From: pair[0], To: pair[1]})
		if err := wantEntries(err, single.GetEntrySet(), 0, direct); err != nil {
			return fmt.Errorf("history of %v: %w", pair, err)
		}
	}
	history, err := c.history(ctx, &pb.GetGroupHistoryMessageRequest{Group: group})
	return wantEntries(err, history.GetEntrySet(), 0, inGroup)
}

func pages(ctx context.Context, c *calls, p string) error {
	// Ids that are not ASCII also go through the path of the history routes.
	from, to := p+"张三", p+"李四"
	var sent []string
	for i := 1; i <= 7; i++ {
		sent = append(sent, fmt.Sprintf(`{"n":%d}`, i))
		_, err := c.send(ctx, &pb.SendMessageRequest{From: from, To: to, Message: sent[i-1]})
		if err != nil {
			return err
		}
	}
	for after := 0; after <= 7; after += 3 {
		rest := sent[after:]
		if len(rest) > 3 {
			rest = rest[:3]
		}
		page, err := c.sync(ctx, &pb.SyncMessageRequest{Member: to, LastRead: int64(after), Count: 3})
		if err := wantPage(err, page, after, rest, 7); err != nil {
			return fmt.Errorf("sync after %d: %w", after, err)
		}
		single, err := c.single(ctx, &pb.GetSingleHistoryMessageRequest{
			From: to, To: from, LastRead: int64(after), Count: 3,
		})
		if err := wantEntries(err, single.GetEntrySet(), after, rest); err != nil {
			return fmt.Errorf("history after %d: %w", after, err)
		}
	}
	page, err := c.sync(ctx, &pb.SyncMessageRequest{Member: to, LastRead: 7, Count: 3})
	if err := wantPage(err, page, 7, nil, 7); err != nil {
		return fmt.Errorf("sync after the last entry: %w", err)
	}
	page, err = c.sync(ctx, &pb.SyncMessageRequest{Member: to, LastRead: -5})
	return wantPage(err, page, 0, sent, 7)
}

func exact(ctx context.Context, c *calls, p string) error {
	message := ` {"z":9007199254740993, "a":1.0, "html":"<&>", "empty":{}, "s":"\ud83d\ude00\u0000\/"} `
	if _, err := c.send(ctx, &pb.SendMessageRequest{From: p + "x", To: p + "y", Message: message}); err != nil {
		return err
	}
	page, err := c.sync(ctx, &pb.SyncMessageRequest{Member: p + "y"})
	return wantPage(err, page, 0, []string{message}, 1)
}

func unknown(ctx context.Context, c *calls, p string) error {
	page, err := c.sync(ctx, &pb.SyncMessageRequest{Member: p + "nobody"})
	if err := wantPage(err, page, 0, nil, 0); err != nil {
		return err
	}
	history, err := c.history(ctx, &pb.GetGroupHistoryMessageRequest{Group: p + "nobody"})
	return wantEntries(err, history.GetEntrySet(), 0, nil)
}

func refusals(ctx context.Context, c *calls, p string) error {
	from, to, group := p+"from", p+"to", p+"group"
	members := []string{from, to}
	long := p + strings.Repeat("x", 1024)
	send := func(in *pb.SendMessageRequest) error { _, err := c.send(ctx, in); return err }
	sendGroup := func(in *pb.SendGroupRequest) error { _, err := c.group(ctx, in); return err }
	sync := func(in *pb.SyncMessageRequest) error { _, err := c.sync(ctx, in); return err }
	for name, err := range map[string]error{
		"no sender":        send(&pb.SendMessageRequest{To: to, Message: "{}"}),
		"no receiver":      send(&pb.SendMessageRequest{From: from, Message: "{}"}),
		"no message":       send(&pb.SendMessageRequest{From: from, To: to}),
		"message is null":  send(&pb.SendMessageRequest{From: from, To: to, Message: "null"}),
		"message is text":  send(&pb.SendMessageRequest{From: from, To: to, Message: `"hello"`}),
		"message is cut":   send(&pb.SendMessageRequest{From: from, To: to, Message: `{"a":`}),
		"id too long":      send(&pb.SendMessageRequest{From: from, To: long, Message: "{}"}),
		"no group":         sendGroup(&pb.SendGroupRequest{GroupMembers: members, Message: "{}"}),
		"no members":       sendGroup(&pb.SendGroupRequest{GroupName: group, Message: "{}"}),
		"an empty member":  sendGroup(&pb.SendGroupRequest{GroupName: group, GroupMembers: []string{from, ""}, Message: "{}"}),
		"group, no object": sendGroup(&pb.SendGroupRequest{GroupName: group, GroupMembers: members, Message: "[]"}),
		"sync of nobody":   sync(&pb.SyncMessageRequest{}),
		"negative count":   sync(&pb.SyncMessageRequest{Member: to, Count: -1}),
	} {
		if err := wantError(err, 400, pb.ErrorReason_TIMELINE_INVALID_PARAM.String()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	// The text of this one is go-timeline's, misspelling included.
	if err := send(&pb.SendMessageRequest{To: to, Message: "{}"}); errors.FromError(err).Message != "miss from or to filed" {
		return fmt.Errorf("the message is not go-timeline's: %v", err)
	}
	tooLarge := errors.FromError(send(&pb.SendMessageRequest{From: from, To: long, Message: "{}"}))
	if tooLarge.Metadata["limit"] != "id_bytes_max" || tooLarge.Metadata["max"] != "1024" {
		return fmt.Errorf("the error does not name its limit: %v", tooLarge)
	}
	// Nothing of all this was stored, and no number is missing.
	for _, member := range members {
		page, err := c.sync(ctx, &pb.SyncMessageRequest{Member: member})
		if err := wantPage(err, page, 0, nil, 0); err != nil {
			return err
		}
	}
	reply, err := c.send(ctx, &pb.SendMessageRequest{From: from, To: to, Message: "{}"})
	return want(err, reply.GetSequence(), int64(1))
}

func keys(ctx context.Context, c *calls, p string) error {
	one := &pb.SendMessageRequest{From: p + "k1", To: p + "k2", Message: text("once")}
	other := &pb.SendMessageRequest{From: p + "k1", To: p + "k2", Message: text("twice")}
	ctx = withKey(ctx, "7f9c24e8")
	for i := 0; i < 3; i++ {
		reply, err := c.send(ctx, one)
		if err := want(err, reply.GetSequence(), int64(1)); err != nil {
			return err
		}
	}
	_, err := c.send(ctx, other)
	if err := wantError(err, 409, "IDEMPOTENCY_CONFLICT"); err != nil {
		return err
	}
	for i := 0; i < 2; i++ {
		_, err := c.group(ctx, &pb.SendGroupRequest{
			GroupName: p + "kg", GroupMembers: []string{p + "k2"}, Message: text("group, once"),
		})
		if err != nil {
			return err
		}
	}
	page, err := c.sync(ctx, &pb.SyncMessageRequest{Member: p + "k2"})
	return wantPage(err, page, 0, []string{text("once"), text("group, once")}, 2)
}

func transportsShareTheirData(ctx context.Context, one, other *calls) error {
	if _, err := one.send(ctx, &pb.SendMessageRequest{From: "m1", To: "m2", Message: text("1")}); err != nil {
		return err
	}
	reply, err := other.send(ctx, &pb.SendMessageRequest{From: "m1", To: "m2", Message: text("2")})
	if err := want(err, reply.GetSequence(), int64(2)); err != nil {
		return err
	}
	page, err := one.sync(ctx, &pb.SyncMessageRequest{Member: "m2"})
	return wantPage(err, page, 0, []string{text("1"), text("2")}, 2)
}

func want(err error, got, wanted interface{}) error {
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(got, wanted) {
		return fmt.Errorf("got %v, want %v", got, wanted)
	}
	return nil
}

func wantPage(err error, page *pb.SyncMessageReply, after int, messages []string, latest int) error {
	if err := wantEntries(err, page.GetEntrySet(), after, messages); err != nil {
		return err
	}
	last := int64(0)
	if len(messages) > 0 {
		last = int64(after + len(messages))
	}
	if page.LatestSeq != int64(latest) || page.EntrySetLastSeq != last {
		return fmt.Errorf("latest %d and last %d, want %d and %d", page.LatestSeq, page.EntrySetLastSeq, latest, last)
	}
	return nil
}

// wantEntries wants exactly these messages, numbered on from after without a hole.
func wantEntries(err error, entries []*pb.TimelineEntry, after int, messages []string) error {
	if err != nil {
		return err
	}
	if len(entries) != len(messages) {
		return fmt.Errorf("%d entries, want %d: %v", len(entries), len(messages), entries)
	}
	for i, entry := range entries {
		if entry.Sequence != int64(after+i+1) || entry.Message != messages[i] {
			return fmt.Errorf("entry %d is %v, want %d %s", i, entry, after+i+1, messages[i])
		}
	}
	return nil
}

func wantError(err error, code int, reason string) error {
	if err == nil {
		return fmt.Errorf("it was accepted")
	}
	if errors.Code(err) != code || errors.Reason(err) != reason {
		return fmt.Errorf("got code %d and reason %q, want %d and %q: %v",
			errors.Code(err), errors.Reason(err), code, reason, err)
	}
	return nil
}
