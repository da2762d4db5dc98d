// Command millrace runs Millrace on one machine, sends events and tells what
// became of them. See package cli.
package main

import (
	"context"
	"os"

	"github.com/millrace/millrace/infra/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
