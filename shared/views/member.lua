
-- Keys: the sorted set; versions by member; tombstones by when they expire.
-- Arguments: the members, their versions, their scores (empty: to be removed).
-- A call has at most CHUNK / 2 members.
local function write(k, from, to, n)
  local set, versions, graves = KEYS[k], KEYS[k + 1], KEYS[k + 2]

  -- No claim can come any more that these tombstones would have to stop. Twice as
  -- many go as can be added, so that they never pile up.
  local dead = redis.call('ZRANGEBYSCORE', graves, '-inf', ms(now), 'LIMIT', 0, 2 * n)
  if #dead > 0 then
    redis.call('HDEL', versions, unpack(dead))
    redis.call('ZREM', graves, unpack(dead))
  end

  local stored = redis.call('HMGET', versions, unpack(ARGV, from, from + n - 1))
  local letters, stamps, here, present, removed, buried = {}, {}, {}, {}, {}, {}
  for i = 1, n do
    local member, version, score = ARGV[from + i - 1], ARGV[from + n + i - 1], ARGV[from + 2 * n + i - 1]
    if newer(stored[i], version) then
      letters[i] = 'a'
      stamps[#stamps + 1] = member
      stamps[#stamps + 1] = version .. suffix
      if score == '' then
        removed[#removed + 1] = member
        buried[#buried + 1] = ms(now + tonumber(ttl))
        buried[#buried + 1] = member
      else
        present[#present + 1] = member
        here[#here + 1] = score
        here[#here + 1] = member
      end
    else
      letters[i] = 's'
    end
  end
  if #stamps == 0 then return table.concat(letters) end

  local was = redis.call('EXISTS', set)
  if #removed > 0 then
    redis.call('ZREM', set, unpack(removed))
    redis.call('ZADD', graves, unpack(buried))
  end
  if #present > 0 then
    redis.call('ZADD', set, unpack(here))
    redis.call('ZREM', graves, unpack(present))
  end
  redis.call('HSET', versions, unpack(stamps))

  -- When the whole set is gone, its last tombstone takes the companions along.
  if redis.call('EXISTS', set) == 0 then
    redis.call('PEXPIRE', versions, ttl)
    redis.call('PEXPIRE', graves, ttl)
  elseif was == 0 then
    redis.call('PERSIST', versions)
    redis.call('PERSIST', graves)
  end
  return table.concat(letters)
end
