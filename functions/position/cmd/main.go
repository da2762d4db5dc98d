// Command position is the function of position events.
package main

import (
	"github.com/millrace/millrace/functions/position"
	"github.com/millrace/millrace/shared/runtime"
)

func main() { runtime.Main(position.New()) }
