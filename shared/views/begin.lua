-- Notes that a rebuild begins. KEYS: the note, the epoch. ARGV: what the rebuild is
-- of, a new name for it, the epoch that it will set. Answers the name of the rebuild
-- and how far it came: one that is of the same and has begun already goes on. Answers
-- nothing if the epoch is set, since another process has ended it.
if redis.call('GET', KEYS[2]) == ARGV[3] then return false end
local note = redis.call('HMGET', KEYS[1], 'of', 'name', 'at')
if note[1] == ARGV[1] then return {note[2], note[3] or ''} end
redis.call('HSET', KEYS[1], 'of', ARGV[1], 'name', ARGV[2], 'at', '')
return {ARGV[2], ''}
