// Package functions lists the event families of Millrace. Each has a folder of
// its own; functions never import each other.
package functions

import (
	"github.com/millrace/millrace/functions/agent"
	"github.com/millrace/millrace/functions/conversation"
	"github.com/millrace/millrace/functions/ledger"
	"github.com/millrace/millrace/functions/message"
	"github.com/millrace/millrace/functions/position"
	"github.com/millrace/millrace/functions/trade"
	"github.com/millrace/millrace/shared/function"
)

// All returns the functions.
func All() []function.Definition {
	return []function.Definition{
		agent.New(),
		conversation.New(),
		ledger.New(),
		message.New(),
		position.New(),
		trade.New(),
	}
}
