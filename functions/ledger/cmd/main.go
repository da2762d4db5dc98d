// Command ledger is the function of ledger events.
package main

import (
	"github.com/millrace/millrace/functions/ledger"
	"github.com/millrace/millrace/shared/runtime"
)

func main() { runtime.Main(ledger.New()) }
