// Command agent is the function of agent events.
package main

import (
	"github.com/millrace/millrace/functions/agent"
	"github.com/millrace/millrace/shared/runtime"
)

func main() { runtime.Main(agent.New()) }
