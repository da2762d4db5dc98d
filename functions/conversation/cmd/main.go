// Command conversation is the function of conversation events.
package main

import (
	"github.com/millrace/millrace/functions/conversation"
	"github.com/millrace/millrace/shared/runtime"
)

func main() { runtime.Main(conversation.New()) }
