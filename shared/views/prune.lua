-- Takes out of one key what epochs before ARGV[1] put there. ARGV[2] is where in the
-- members to go on; answers where to go on next (0: done) and how many it removed.
-- Keys: the shown one and all its possible companions. It knows the three forms of
-- the companion :v: the version of a whole key, an epoch for a whole collection
-- (under the empty name), a version for each member.
local shown, versions, graves, order = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch = tonumber(ARGV[1])

local function before(stored) return tonumber(string.match(stored, '@(%d+)$')) < epoch end

local function whole(gone)
  if not gone then return {'0', 0} end
  redis.call('DEL', shown, versions, graves, order)
  return {'0', 1}
end

local form = redis.call('TYPE', versions).ok
if form == 'string' then return whole(before(redis.call('GET', versions))) end
if form ~= 'hash' then return {'0', 0} end

local mark = redis.call('HGET', versions, '')
if mark then return whole(tonumber(mark) < epoch) end

-- remove takes a member out: of a bitmap its bit, but for good not its offset.
local remove
if redis.call('TYPE', order).ok == 'hash' then
  remove = function(member)
    local offset = redis.call('HGET', order, member)
    if offset then redis.call('SETBIT', shown, offset, 0) end
  end
else
  remove = function(member)
    redis.call('ZREM', shown, member)
    redis.call('ZREM', graves, member)
  end
end

local page = redis.call('HSCAN', versions, ARGV[2], 'COUNT', 500)
local removed = 0
for i = 1, #page[2], 2 do
  local member, stored = page[2][i], page[2][i + 1]
  if before(stored) then
    remove(member)
    redis.call('HDEL', versions, member)
    removed = removed + 1
  end
end
if redis.call('EXISTS', versions) == 0 then redis.call('DEL', shown, graves, order) end
return {page[1], removed}
