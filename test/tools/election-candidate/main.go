// A candidate for a Lease with client-go's own leader election. As long as it leads it counts in a ConfigMap, and
// writes one JSON line for each thing that happens, with the machine's monotonic clock in milliseconds.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
	writeEvery    = 100 * time.Millisecond
	writeTimeout  = 2 * time.Second
)

var (
	kubeconfig = flag.String("kubeconfig", "", "how to reach the API server")
	namespace  = flag.String("namespace", "", "of the Lease and the ConfigMap")
	lease      = flag.String("lease", "", "name of the Lease")
	fence      = flag.String("fence", "", "name of the ConfigMap that leaders count in")
	identity   = flag.String("identity", "", "unique to this process")
)

func now() int64 {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &at); err != nil {
		panic(err)
	}
	return at.Nano() / int64(time.Millisecond)
}

type line struct {
	Event  string `json:"event"`
	FromMs int64  `json:"fromMs"`
	ToMs   int64  `json:"toMs"`
	Term   int    `json:"term,omitempty"`
	Count  int    `json:"count,omitempty"`
	Error  string `json:"error,omitempty"`
}

func tell(said line) {
	text, _ := json.Marshal(said)
	fmt.Println(string(text))
}

// Counts until it may not: every write carries the resource version of the one before it, and the first takes a new term.
func lead(ctx context.Context, maps core.ConfigMapInterface, mayWrite func() bool) {
	term, isTaken := 0, false
	current, err := maps.Get(ctx, *fence, metav1.GetOptions{})
	for ; ctx.Err() == nil; time.Sleep(writeEvery) {
		if err != nil {
			current, err = maps.Get(ctx, *fence, metav1.GetOptions{})
			continue
		}
		if !isTaken {
			before, _ := strconv.Atoi(current.Data["term"])
			term = before + 1
		} else if current.Data["leader"] != *identity {
			// It can lead again: client-go takes a Lease that another has had and freed for its own renewal.
			tell(line{Event: "superseded", FromMs: now(), ToMs: now(), Term: term})
			isTaken = false
			continue
		}
		fromMs := now()
		isAllowed := mayWrite()
		toMs := now()
		if !isAllowed {
			continue
		}
		tell(line{Event: "write", FromMs: fromMs, ToMs: toMs, Term: term})
		next := current.DeepCopy()
		count, _ := strconv.Atoi(current.Data["count"])
		next.Data = map[string]string{"leader": *identity, "term": strconv.Itoa(term), "count": strconv.Itoa(count + 1)}
		limited, cancel := context.WithTimeout(ctx, writeTimeout)
		written, failure := maps.Update(limited, next, metav1.UpdateOptions{})
		cancel()
		err = failure
		if err == nil {
			current, isTaken = written, true
			tell(line{Event: "written", FromMs: fromMs, ToMs: now(), Term: term, Count: count + 1})
		} else {
			tell(line{Event: "failed", FromMs: fromMs, ToMs: now(), Term: term, Error: err.Error()})
		}
	}
}

func main() {
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		panic(err)
	}
	// As the components of Kubernetes limit the requests of their elections.
	leases := *config
	leases.Timeout = renewDeadline / 2
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	maps := core.NewForConfigOrDie(config).ConfigMaps(*namespace)
	var isReleased atomic.Bool
	var elector *leaderelection.LeaderElector
	work := make(chan struct{})
	elector, err = leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: *namespace, Name: *lease},
			Client:     coordination.NewForConfigOrDie(&leases),
			LockConfig: resourcelock.ResourceLockConfig{Identity: *identity},
		},
		LeaseDuration: leaseDuration,
		RenewDeadline: renewDeadline,
		RetryPeriod:   retryPeriod,
		// A released lease is free at once, so the work has to have ended before: see below.
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				tell(line{Event: "leading", FromMs: now(), ToMs: now()})
				// client-go promises no fencing: a process that was paused thinks for a moment that it leads.
				lead(stopped, maps, func() bool {
					return ctx.Err() == nil && elector.IsLeader() && elector.Check(renewDeadline-leaseDuration) == nil
				})
				close(work)
			},
			OnStoppedLeading: func() { tell(line{Event: "stopped", FromMs: now(), ToMs: now()}) },
		},
	})
	if err != nil {
		panic(err)
	}
	tell(line{Event: "waiting", FromMs: now(), ToMs: now()})
	running, end := context.WithCancel(context.Background())
	go func() {
		<-stopped.Done()
		if elector.IsLeader() {
			<-work
		}
		isReleased.Store(true)
		end()
	}()
	elector.Run(running)
	if !isReleased.Load() {
		os.Exit(1)
	}
}
