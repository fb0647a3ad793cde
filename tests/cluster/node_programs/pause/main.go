// Program pause holds a pod's namespaces: it does nothing until it is told to end, and waits for orphans.
//
// With the argument `serve ADDRESS` it answers HTTP instead, for probes and for tests to ask.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		go func() {
			err := http.ListenAndServe(os.Args[2], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintln(w, "here")
			}))
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}()
		<-end
		return
	}
	orphans := make(chan os.Signal, 1)
	signal.Notify(orphans, syscall.SIGCHLD)
	for {
		select {
		case <-end:
			return
		case <-orphans:
			for {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
					break
				}
			}
		}
	}
}
