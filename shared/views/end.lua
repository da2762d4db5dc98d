-- Sets an epoch at the end of a rebuild, if the note that it began is still there.
-- KEYS: the note, the epoch. ARGV: the rebuild's name, the epoch. Answers 1 if the
-- epoch holds, be it that another process ended the same rebuild before.
if redis.call('HGET', KEYS[1], 'name') == ARGV[1] then
  redis.call('SET', KEYS[2], ARGV[2])
  redis.call('DEL', KEYS[1])
  return 1
end
-- Without its time it is what the pruning of late claims has set since.
local epoch = redis.call('GET', KEYS[2])
if epoch and string.sub(ARGV[2] .. ' ', 1, #epoch + 1) == epoch .. ' ' then return 1 end
return 0
