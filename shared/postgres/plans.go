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
