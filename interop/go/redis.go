package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// redis is as much of Redis as the official contracts need: a listener leaves its address under a
// key, and a dialer waits for it.
type redis struct {
	conn   net.Conn
	reader *bufio.Reader
}

const redisPollInterval = 50 * time.Millisecond

// dialRedis tries until the server is there: in a test it may start at the same time.
func dialRedis(ctx context.Context, addr string) (*redis, error) {
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return &redis{conn, bufio.NewReader(conn)}, nil
		}
		if sleep(ctx, redisPollInterval) != nil {
			return nil, err
		}
	}
}

func (r *redis) publish(key, value string, asList bool) error {
	if _, err := r.call("DEL", key); err != nil {
		return err
	}
	how := "SET"
	if asList {
		how = "RPUSH"
	}
	_, err := r.call(how, key, value)
	return err
}

// wait waits for the value, whether it is a string or the head of a list.
func (r *redis) wait(ctx context.Context, key string) (string, error) {
	get := map[string]string{"string": "GET", "list": "LPOP"}
	for {
		kind, err := r.call("TYPE", key)
		if err != nil {
			return "", err
		}
		if how := get[strings.Join(kind, "")]; how != "" {
			if value, err := r.call(how, key); err != nil || len(value) == 1 {
				return strings.Join(value, ""), err
			}
		}
		if err := sleep(ctx, redisPollInterval); err != nil {
			return "", fmt.Errorf("nothing under the key %q: %w", key, err)
		}
	}
}

// pop waits as the older contract has it.
func (r *redis) pop(ctx context.Context, key string) (string, error) {
	deadline, _ := ctx.Deadline()
	seconds := max(1, int(time.Until(deadline).Seconds()))
	reply, err := r.call("BLPOP", key, strconv.Itoa(seconds))
	if err == nil && len(reply) != 2 {
		err = fmt.Errorf("nothing under the key %q in time", key)
	}
	if err != nil {
		return "", err
	}
	return reply[1], nil
}

// call runs a command; what it answers, flattened, nulls left out.
func (r *redis) call(words ...string) ([]string, error) {
	request := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		request += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(r.conn, request); err != nil {
		return nil, err
	}
	var values []string
	for left := 1; left > 0; left-- {
		line, err := r.reader.ReadString('\n')
		if err != nil {
			return nil, err
		}
		kind, rest := line[0], strings.TrimSpace(line[1:])
		switch kind {
		case '+', ':':
			values = append(values, rest)
		case '$', '*':
			size, err := strconv.Atoi(rest)
			if err != nil {
				return nil, err
			}
			if kind == '*' {
				left += max(size, 0)
			} else if size >= 0 {
				bytes := make([]byte, size+2)
				if _, err := io.ReadFull(r.reader, bytes); err != nil {
					return nil, err
				}
				values = append(values, string(bytes[:size]))
			}
		default:
			return nil, errors.New("redis: " + rest)
		}
	}
	return values, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
