
-- Keys: the sorted set; versions by member; tombstones by when they expire.
-- Arguments: the members, their versions, their scores (empty: to be removed).
-- A call has at most CHUNK / 2 members.

-- purge forgets tombstones that no claim can be alive to be stopped by.
local function purge(versions, graves, most)
  local dead = call('ZRANGEBYSCORE', graves, '-inf', ms(now), 'LIMIT', 0, most)
  if #dead > 0 then
    call('HDEL', versions, unpack(dead))
    call('ZREM', graves, unpack(dead))
  end
end

local function write(k, from, to, n)
  local set, versions, graves = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local stored = call('HMGET', versions, unpack(ARGV, from, from + n - 1))
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

  local was = call('EXISTS', set)
  if #present > 0 then call('ZADD', set, unpack(here)) end
  if #removed > 0 then
    call('ZADD', graves, unpack(buried))
    call('ZREM', set, unpack(removed))
  end
  if #present > 0 then call('ZREM', graves, unpack(present)) end
  call('HSET', versions, unpack(stamps))
  purge(versions, graves, 2 * n) -- more than are added, so that they never pile up

  -- When the whole set is gone, its last tombstone takes the companions along.
  if call('EXISTS', set) == 0 then
    call('PEXPIRE', versions, ttl)
    call('PEXPIRE', graves, ttl)
  elseif was == 0 then
    call('PERSIST', versions)
    call('PERSIST', graves)
  end
  return table.concat(letters)
end
