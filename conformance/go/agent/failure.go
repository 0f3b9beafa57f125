package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Unsupported says why this library cannot do what was asked.
type Unsupported string

func (u Unsupported) Error() string { return string(u) }

// Failure is an error under Kafka's name, or CLIENT.
type Failure struct {
	Code    string
	Message string
}

func (f Failure) Error() string { return f.Code + ": " + f.Message }

// CodeName is Kafka's name of a broker's error code. franz-go's table has them all, one by its name of before 2.6.
func CodeName(code int16) string {
	if code == kerr.NotLeaderForPartition.Code {
		return "NOT_LEADER_OR_FOLLOWER"
	}
	if known := kerr.TypedErrorForCode(code); known != nil {
		return known.Message
	}
	return fmt.Sprintf("UNKNOWN_%d", code)
}

// failureOf finds the most telling thing within an error.
func failureOf(err error) Failure {
	var failure Failure
	var broker *kerr.Error
	var network net.Error
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &broker):
		return Failure{CodeName(broker.Code), err.Error()}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return Failure{"REQUEST_TIMED_OUT", err.Error()}
	case errors.As(err, &network):
		return Failure{"NETWORK_EXCEPTION", err.Error()}
	default:
		return Failure{"CLIENT", err.Error()}
	}
}

// ModuleVersion is the version of a library in this very program.
func ModuleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == path {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "unknown"
}
