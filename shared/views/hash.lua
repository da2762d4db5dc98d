
-- Keys: the hash, its version. Arguments: version, then fields and values.
local function write(k, from, to)
  local hash, companion, version = KEYS[k], KEYS[k + 1], ARGV[from]
  if not newer(redis.call('GET', companion), version) then return 's' end
  redis.call('DEL', hash)
  for i = from + 1, to, CHUNK do
    redis.call('HSET', hash, unpack(ARGV, i, math.min(i + CHUNK - 1, to)))
  end
  if from == to then
    redis.call('SET', companion, version .. suffix, 'PX', ttl)
  else
    redis.call('SET', companion, version .. suffix)
  end
  return 'a'
end
