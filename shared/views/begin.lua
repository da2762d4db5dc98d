-- Notes that a rebuild begins. KEYS: the note, the epoch. ARGV: what the rebuild is
-- of, a new name for it, the epoch that was found, the one that it will set. Answers
-- the rebuild's name, the epoch that it will set and how far it came, with showing and
-- with pruning: one that is of the same and has begun already goes on. Answers nothing
-- if the epoch is another by now, such as when another process has ended it.
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[3] then return false end
if redis.call('HGET', KEYS[1], 'of') ~= ARGV[1] then
  redis.call('HSET', KEYS[1], 'of', ARGV[1], 'name', ARGV[2], 'epoch', ARGV[4], 'shown', '', 'pruned', '')
end
return redis.call('HMGET', KEYS[1], 'name', 'epoch', 'shown', 'pruned')
