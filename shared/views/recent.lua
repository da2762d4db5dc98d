
-- Keys: the list; version, sign and value by member (and under the empty name the
-- epoch); the members in order, removed ones too. Arguments: how many values the
-- list shows, how many members are remembered, whether to publish, the members oldest
-- first, their versions, their scores, their signs and values. A call has at most
-- CHUNK / 2 members.

-- drop forgets the oldest members beyond those that are remembered.
local function drop(data, order, excess)
  while excess > 0 do
    local popped, names = call('ZPOPMIN', order, math.min(excess, CHUNK)), {}
    for i = 1, #popped, 2 do names[#names + 1] = popped[i] end
    call('HDEL', data, unpack(names))
    excess = excess - #names
  end
end

-- shown returns the newest values that are present, newest first, at most keep.
local function shown(data, order, keep)
  local names, values = call('ZREVRANGE', order, 0, -1), {}
  for i = 1, #names, CHUNK do
    local stored = call('HMGET', data, unpack(names, i, math.min(i + CHUNK - 1, #names)))
    for j = 1, #stored do
      if #values == keep then return values end
      local sign = stored[j] and find(stored[j], '[+-]')
      if sign and sub(stored[j], sign, sign) == '+' then
        values[#values + 1] = sub(stored[j], sign + 1)
      end
    end
  end
  return values
end

-- refill writes the list anew: behind what is there, which is then cut off.
local function refill(list, data, order, keep)
  local values, before = shown(data, order, keep), call('LLEN', list)
  for i = 1, #values, CHUNK do
    call('RPUSH', list, unpack(values, i, math.min(i + CHUNK - 1, #values)))
  end
  if #values == 0 then
    call('DEL', list)
    call('PEXPIRE', data, ttl)
    call('PEXPIRE', order, ttl)
  else
    call('LTRIM', list, before, -1)
    call('PERSIST', data)
    call('PERSIST', order)
  end
end

-- push puts new values before the list: the way of a new fact, which is nearly
-- every. It says whether the list is right then. It may not be if excess members are
-- forgotten now, since one of them may be shown at the list's end. But if the list
-- was full and no more are forgotten than have come, those have gone from it.
local function push(list, data, order, keep, values, excess)
  local length = call('LPUSH', list, unpack(values))
  local before = length - #values
  if excess > 0 and (before < keep or excess > #values) then return false end
  if before == 0 then
    call('PERSIST', data)
    call('PERSIST', order)
  end
  if length > keep then call('LTRIM', list, 0, keep - 1) end
  return true
end

-- publish tells of those members that are still remembered: had one been forgotten at
-- once, its version would be too, and coming again it would be told again.
local function publish(list, order, news)
  for i = 1, #news, 2 do
    if call('ZSCORE', order, news[i]) then call('PUBLISH', list, news[i + 1]) end
  end
end

local function write(k, from, to, n)
  local list, data, order = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local keep, remember, publishes = tonumber(ARGV[from]), tonumber(ARGV[from + 1]), ARGV[from + 2] == '1'
  from = from + 3

  -- A key is of one epoch as a whole: what a lost timeline put into it would take
  -- places from what is true. It starts anew, and the rebuild fills it.
  local stored, stamps = call('HMGET', data, '', unpack(ARGV, from, from + n - 1)), {}
  if stored[1] ~= ARGV[2] then
    if stored[1] and tonumber(stored[1]) > epoch then return string.rep('s', n) end
    call('DEL', list, data, order)
    stored = {}
    stamps = {'', ARGV[2]}
  end

  local letters, places, fresh, news = {}, {}, {}, {}
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
      fresh[#fresh + 1] = sub(value, 2)
      if publishes and sub(value, 1, 1) == '+' and tells(old, version) then
        news[#news + 1] = member
        news[#news + 1] = fresh[#fresh]
      end
      if old or sub(value, 1, 1) == '-' then lead = false end
    else
      letters[i] = 's'
    end
  end
  if #fresh == 0 then return table.concat(letters) end

  call('ZADD', order, unpack(places))
  local size = call('ZCARD', order)
  local excess = size - remember
  local right = lead and call('ZREVRANK', order, places[2]) == #fresh - 1
    and push(list, data, order, keep, fresh, excess)
  call('HSET', data, unpack(stamps))
  drop(data, order, excess)
  if not right then refill(list, data, order, keep) end
  publish(list, order, news)
  return table.concat(letters)
end
