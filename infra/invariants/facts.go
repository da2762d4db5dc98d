package invariants

import "fmt"

// everybody stands for all tenants in a rule that is about one.
const everybody = ""

// factRules are, by function, the rules for the tables that it keeps of its
// own: I2 for facts, I4 for aggregates. I7 covers every function's tables as a
// whole; these name the row, and find those that no entity has. $1 is the tenant
// whose rows they are about, or everybody.
var factRules = map[string][]rule{
	"conversation": conversationRules,
	"message":      facts("message", "millrace.messages", "conversation", "number", "'message.sent.v1'"),
	"trade":        facts("trade", "millrace.trades", "account", "booked", "'trade.executed.v1'"),
	"position":     facts("position", "millrace.fills", "account", "NULL", "'position.fill-booked.v1'"),
	"ledger": append(facts("ledger", "millrace.entries", "journal", "version", "'ledger.posted.v1', 'ledger.reversed.v1'"),
		ledgerRules...),
}

// facts holds a table, whose rows are named by source and id of the events that
// made them, against the audit log: one row for each such event that was
// applied, and none else. version is the column with the entity's version, or
// NULL.
func facts(function, table, entity, version, types string) []rule {
	return []rule{{"I2", "facts in " + table + " that are not one for each applied event", fmt.Sprintf(`
SELECT tenant_id, subject, source, id, facts, a.version AS decided, f.version
FROM (
    SELECT tenant_id, %[3]s AS subject, source, id, count(*) AS facts, max(%[4]s) AS version
    FROM %[2]s
    WHERE ($1 = '' OR tenant_id = $1)
    GROUP BY tenant_id, %[3]s, source, id
) AS f
FULL JOIN (
    SELECT tenant_id, subject, source, id, version
    FROM millrace.audit
    WHERE function = '%[1]s' AND outcome = 'applied' AND type IN (%[5]s) AND ($1 = '' OR tenant_id = $1)
) AS a USING (tenant_id, subject, source, id)
WHERE facts IS DISTINCT FROM 1 OR a.version IS NULL OR a.version <> f.version`,
		function, table, entity, version+"::bigint", types)}}
}

// ledgerRules are I4.
var ledgerRules = []rule{
	{"I4", "entries that do not sum to zero", `
SELECT tenant_id, journal, version, currency, sum(amount)::text AS total
FROM millrace.postings
WHERE ($1 = '' OR tenant_id = $1)
GROUP BY tenant_id, journal, version, currency
HAVING sum(amount) <> 0`},
	{"I4", "entries without their postings, or postings without their entry", `
SELECT tenant_id, journal, version, e.lines, p.lines AS postings
FROM (SELECT * FROM millrace.entries WHERE ($1 = '' OR tenant_id = $1)) AS e
FULL JOIN (
    SELECT tenant_id, journal, version, count(*) AS lines
    FROM millrace.postings
    WHERE ($1 = '' OR tenant_id = $1)
    GROUP BY tenant_id, journal, version
) AS p USING (tenant_id, journal, version)
WHERE e.lines IS DISTINCT FROM p.lines`},
	{"I4", "balances that are not the sum of their postings", `
SELECT tenant_id, account, currency, b.amount::text AS balance, p.amount::text AS postings
FROM (SELECT * FROM millrace.balances WHERE ($1 = '' OR tenant_id = $1)) AS b
FULL JOIN (
    SELECT tenant_id, account, currency, sum(amount) AS amount
    FROM millrace.postings
    WHERE ($1 = '' OR tenant_id = $1)
    GROUP BY tenant_id, account, currency
) AS p USING (tenant_id, account, currency)
WHERE b.amount IS DISTINCT FROM p.amount`},
}

// conversationRules are I4 for what agents have.
var conversationRules = []rule{
	{"I4", "agents' counts that are not those of their conversations", `
SELECT tenant_id, agent, a.open, c.open AS conversations, a.closed, c.closed AS closed_conversations
FROM (SELECT * FROM millrace.agent_counts WHERE ($1 = '' OR tenant_id = $1)) AS a
FULL JOIN (
    SELECT tenant_id, agent, count(*) FILTER (WHERE closed_at IS NULL) AS open, count(closed_at) AS closed
    FROM millrace.conversations
    WHERE agent IS NOT NULL AND ($1 = '' OR tenant_id = $1)
    GROUP BY tenant_id, agent
) AS c USING (tenant_id, agent)
WHERE (a.open, a.closed) IS DISTINCT FROM (coalesce(c.open, 0), coalesce(c.closed, 0))`},
}
