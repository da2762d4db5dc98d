package postgres

// PlanSettings is a select list that sets, until the end of the transaction, how
// statements are planned: once a session, and by index wherever there is one.
//
// To plan a statement anew for the values of a batch, over all partitions, costs
// more than running it; to compile it, far more. But a plan that is made once is
// often made while the tables are small, and a join would then read them whole
// for as long as the session lives.
const PlanSettings = `set_config('plan_cache_mode', 'force_generic_plan', true), set_config('jit', 'off', true),
       set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true)`

// LockSettings is a select list that keeps the locks of a process that froze, or
// whose node is gone, from holding up everybody who needs the same rows:
// PostgreSQL ends the transaction. Who waits for a lock gives up in time to try
// again.
const LockSettings = `set_config('idle_in_transaction_session_timeout', '10s', true), set_config('lock_timeout', '5s', true)`
