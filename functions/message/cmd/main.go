// Command message is the function of message events.
package main

import (
	"github.com/millrace/millrace/functions/message"
	"github.com/millrace/millrace/shared/runtime"
)

func main() { runtime.Main(message.New()) }
