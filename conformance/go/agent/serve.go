package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sync"
	"time"
)

// lineBytesMax bounds a request: what fits is far more than a scenario writes in one.
const lineBytesMax = 64 << 20

// session is one conversation with the harness.
type session struct {
	name    string
	version string
	client  Client
	members map[string]*member
	joined  int
}

type member struct {
	Member
	inbox *Inbox
	left  bool
}

type answer struct {
	ID          json.RawMessage `json:"id"`
	OK          any             `json:"ok,omitempty"`
	Error       *answerError    `json:"error,omitempty"`
	Unsupported string          `json:"unsupported,omitempty"`
}

type answerError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Serve answers the harness one request after the other until it closes standard input; then members leave, in time.
func Serve(name, version string, client Client) {
	talk := &session{name: name, version: version, client: client, members: map[string]*member{}}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineBytesMax)
	answers := json.NewEncoder(os.Stdout)
	answers.SetEscapeHTML(false)
	for lines.Scan() {
		if err := answers.Encode(talk.answer(lines.Bytes())); err != nil {
			break
		}
	}
	if err := lines.Err(); err != nil && err != io.EOF {
		fmt.Fprintln(os.Stderr, err)
	}
	talk.close()
}

func (talk *session) answer(line []byte) answer {
	var head struct {
		ID json.RawMessage `json:"id"`
		Do string          `json:"do"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return answer{ID: json.RawMessage("null"), Error: &answerError{"CLIENT", err.Error()}}
	}
	handle, known := verbs[head.Do]
	if !known {
		return answer{ID: head.ID, Error: &answerError{"CLIENT", "unknown verb " + head.Do}}
	}
	ok, err := handle(talk, line)
	var unsupported Unsupported
	switch {
	case errors.As(err, &unsupported):
		return answer{ID: head.ID, Unsupported: string(unsupported)}
	case err != nil:
		failure := failureOf(err)
		return answer{ID: head.ID, Error: &answerError{failure.Code, failure.Message}}
	default:
		return answer{ID: head.ID, OK: ok}
	}
}

// verb reads a request of type R and bounds its handling: a library that does not come back by itself is left behind, and the
// harness is told so.
func verb[R any](limit func(R) time.Duration, handle func(*session, context.Context, R) (any, error)) func(*session, []byte) (any, error) {
	type outcome struct {
		ok  any
		err error
	}
	return func(talk *session, line []byte) (any, error) {
		var request R
		if err := decode(line, &request); err != nil {
			return nil, Failure{"CLIENT", err.Error()}
		}
		atMost := limit(request)
		ctx, cancel := context.WithTimeout(context.Background(), atMost)
		defer cancel()
		done := make(chan outcome, 1)
		go func() {
			ok, err := handle(talk, ctx, request)
			done <- outcome{ok, err}
		}()
		select {
		case result := <-done:
			return result.ok, result.err
		case <-time.After(atMost + graceTime):
			return nil, Failure{"REQUEST_TIMED_OUT", fmt.Sprintf("the library has not come back within %v", atMost+graceTime)}
		}
	}
}

// graceTime is what a library has to notice that its context is over.
const graceTime = 900 * time.Millisecond

// decode insists on every field that is no pointer.
func decode(line []byte, request any) error {
	if err := json.Unmarshal(line, request); err != nil {
		return err
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(line, &given); err != nil {
		return err
	}
	kind := reflect.TypeOf(request).Elem()
	for i := range kind.NumField() {
		field := kind.Field(i)
		if _, has := given[field.Tag.Get("json")]; !has && field.Type.Kind() != reflect.Pointer {
			return fmt.Errorf("the field %s is missing", field.Tag.Get("json"))
		}
	}
	return nil
}

// close has 5 s until the harness kills; members leave side by side.
func (talk *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	closed := make(chan struct{})
	go func() {
		var leaving sync.WaitGroup
		for _, each := range talk.members {
			if !each.left {
				leaving.Go(func() { _ = each.Leave(ctx) })
			}
		}
		leaving.Wait()
		talk.client.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-ctx.Done():
	}
}
