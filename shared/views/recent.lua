
-- Keys: the list; version, sign and value by member (and under the empty name the
-- epoch); the members in order, removed ones too. Arguments: how many values the
-- list shows, how many members are remembered, the members oldest first, their
-- versions, their scores, their signs and values. A call has at most CHUNK / 2
-- members.

-- drop forgets the oldest members beyond those that are remembered.
local function drop(data, order, excess)
  while excess > 0 do
    local names = redis.call('ZRANGE', order, 0, math.min(excess, CHUNK) - 1)
    redis.call('ZREM', order, unpack(names))
    redis.call('HDEL', data, unpack(names))
    excess = excess - #names
  end
end

-- shown returns the newest values that are present, newest first, at most keep.
local function shown(data, order, keep)
  local names, values = redis.call('ZREVRANGE', order, 0, -1), {}
  for i = 1, #names, CHUNK do
    local stored = redis.call('HMGET', data, unpack(names, i, math.min(i + CHUNK - 1, #names)))
    for j = 1, #stored do
      if #values == keep then return values end
      local sign = stored[j] and string.find(stored[j], '[+-]')
      if sign and string.sub(stored[j], sign, sign) == '+' then
        values[#values + 1] = string.sub(stored[j], sign + 1)
      end
    end
  end
  return values
end

-- refill writes the list anew.
local function refill(list, data, order, keep)
  local values = shown(data, order, keep)
  redis.call('DEL', list)
  for i = 1, #values, CHUNK do
    redis.call('RPUSH', list, unpack(values, i, math.min(i + CHUNK - 1, #values)))
  end
  if #values == 0 then
    redis.call('PEXPIRE', data, ttl)
    redis.call('PEXPIRE', order, ttl)
  else
    redis.call('PERSIST', data)
    redis.call('PERSIST', order)
  end
end

-- push puts values before the list: the way of a new fact, which is nearly every.
local function push(list, data, order, keep, values)
  local length = redis.call('LPUSH', list, unpack(values))
  if length == #values then
    redis.call('PERSIST', data)
    redis.call('PERSIST', order)
  end
  if length > keep then redis.call('LTRIM', list, 0, keep - 1) end
end

local function write(k, from, to, n)
  local list, data, order = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local keep, remember = tonumber(ARGV[from]), tonumber(ARGV[from + 1])
  from = from + 2

  -- A key is of one epoch as a whole: what a lost timeline put into it would take
  -- places from what is true. It starts anew, and the rebuild fills it.
  local stored = redis.call('HMGET', data, '', unpack(ARGV, from, from + n - 1))
  if stored[1] ~= ARGV[2] then
    if stored[1] and tonumber(stored[1]) > epoch then return string.rep('s', n) end
    redis.call('DEL', list, data, order)
    stored = {}
  end

  local letters, stamps, places, fresh = {}, {'', ARGV[2]}, {}, {}
  local lead = true -- all that is written is new and present
  for i = 1, n do
    local member, version = ARGV[from + i - 1], ARGV[from + n + i - 1]
    local score, value = ARGV[from + 2 * n + i - 1], ARGV[from + 3 * n + i - 1]
    local old = stored[i + 1]
    local have, want = old and tonumber(string.match(old, '^%d+')), tonumber(version)
    if not old or want > have or again and want == have then
      letters[i] = 'a'
      stamps[#stamps + 1] = member
      stamps[#stamps + 1] = version .. value
      places[#places + 1] = score
      places[#places + 1] = member
      fresh[#fresh + 1] = string.sub(value, 2)
      if old or string.sub(value, 1, 1) == '-' then lead = false end
    else
      letters[i] = 's'
    end
  end
  if #fresh == 0 then return table.concat(letters) end

  redis.call('ZADD', order, unpack(places))
  local size = redis.call('ZCARD', order)
  lead = lead and redis.call('ZRANK', order, places[2]) == size - #fresh
  if lead then push(list, data, order, keep, fresh) end
  redis.call('HSET', data, unpack(stamps))
  drop(data, order, size - remember)
  if not lead then refill(list, data, order, keep) end
  return table.concat(letters)
end
