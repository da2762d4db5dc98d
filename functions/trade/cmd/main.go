// Command trade is the function of trade events.
package main

import (
	"github.com/millrace/millrace/functions/trade"
	"github.com/millrace/millrace/shared/runtime"
)

func main() { runtime.Main(trade.New()) }
