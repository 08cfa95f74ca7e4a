// The admin server of a core as far as libraries make it: the router, the RPC server and its JSON codec are those of the
// real one. It gives one status for ever, and exists to be compared with.
//
// Arguments: the socket, and the status as JSON, or `error` and a text.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/gorilla/mux"
	"github.com/gorilla/rpc"
	codec "github.com/gorilla/rpc/json"
	"omnivisor.test/vega/admin"
)

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(words []string) error {
	service := &admin.Service{}
	switch {
	case len(words) == 3 && words[1] == "error":
		service.Failure = words[2]
	case len(words) == 2:
		if err := json.Unmarshal([]byte(words[1]), &service.Fixed); err != nil {
			return err
		}
	default:
		return errors.New("wrong number of arguments")
	}
	server := rpc.NewServer()
	server.RegisterCodec(codec.NewCodec(), "application/json")
	server.RegisterCodec(codec.NewCodec(), "application/json;charset=UTF-8")
	if err := server.RegisterService(service, "protocolupgrade"); err != nil {
		return err
	}
	router := mux.NewRouter()
	router.Handle("/rpc", server)
	listener, err := net.Listen("unix", words[0])
	if err != nil {
		return err
	}
	return http.Serve(listener, router)
}
