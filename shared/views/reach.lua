-- Notes how far a rebuild came. KEYS: the note, the epoch. ARGV: the rebuild's name,
-- the epoch that it will set, with what, how far. Answers 0 if the note is gone, unless
-- another process has ended the same rebuild.
if redis.call('HGET', KEYS[1], 'name') == ARGV[1] then
  redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
  return 1
end
-- Without its time it is what the pruning of late claims has set since.
local epoch = redis.call('GET', KEYS[2])
if epoch and string.sub(ARGV[2] .. ' ', 1, #epoch + 1) == epoch .. ' ' then return 1 end
return 0
