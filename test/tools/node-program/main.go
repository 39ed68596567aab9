// The program in the test images of the real node: static, so that its image needs nothing else.
//
//	node-program serve [port]   answers every GET with what it is, as JSON, until SIGTERM
//	node-program wait           until SIGTERM: the sandbox of a pod
//	node-program exit           with 0, at once: an init container
package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Where the image says what it is, and where a test mounts an image volume.
const (
	contentFile = "/app/content"
	volume      = "/volume"
)

type answer struct {
	Content     string            `json:"content"`
	Environment map[string]string `json:"environment"`
	// The content file of the image that is mounted as a volume; empty without one.
	Volume string `json:"volume"`
}

func main() {
	command := "serve"
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	if command == "exit" {
		return
	}
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if command == "serve" {
		address := ":8080"
		if len(os.Args) > 2 {
			address = ":" + os.Args[2]
		}
		go serve(address)
	}
	<-stopped.Done()
}

func serve(address string) {
	err := http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer{
			Content:     read(contentFile),
			Environment: environment(),
			Volume:      read(volume + contentFile),
		})
	}))
	println(err.Error())
	os.Exit(1)
}

func read(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func environment() map[string]string {
	found := map[string]string{}
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		found[name] = value
	}
	return found
}
