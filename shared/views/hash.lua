
-- Keys: the hash, its version. Arguments: version, whether to publish it, then fields
-- and values.

-- trim removes the fields that are not among ARGV[from] to ARGV[to].
local function trim(hash, from, to)
  local wanted, extra = {}, {}
  for i = from, to, 2 do wanted[ARGV[i]] = true end
  for _, field in ipairs(call('HKEYS', hash)) do
    if not wanted[field] then extra[#extra + 1] = field end
  end
  for i = 1, #extra, CHUNK do
    call('HDEL', hash, unpack(extra, i, math.min(i + CHUNK - 1, #extra)))
  end
end

local stored, written, told = {}, {}, {}

-- before reads all versions at once; no key comes twice in a call.
function before()
  local companions = {}
  for k = 2, #KEYS, width do companions[#companions + 1] = KEYS[k] end
  stored = call('MGET', unpack(companions))
end

local function write(k, from, to)
  local version = ARGV[from]
  local old = stored[(k + 1) / 2]
  if not newer(old, version) then return 's' end
  local hash, companion = KEYS[k], KEYS[k + 1]
  if ARGV[from + 1] == '1' and tells(old, version) then told[#told + 1] = {hash, version} end
  from = from + 2
  if from > to then
    call('DEL', hash)
    call('SET', companion, version .. suffix, 'PX', ttl)
    return 'a'
  end
  for i = from, to, CHUNK do
    call('HSET', hash, unpack(ARGV, i, math.min(i + CHUNK - 1, to)))
  end
  if call('HLEN', hash) * 2 > to - from + 1 then trim(hash, from, to) end
  written[#written + 1] = companion
  written[#written + 1] = version .. suffix
  return 'a'
end

-- after writes all versions at once, and then tells of them.
function after()
  for i = 1, #written, CHUNK do call('MSET', unpack(written, i, math.min(i + CHUNK - 1, #written))) end
  for i = 1, #told do call('PUBLISH', told[i][1], told[i][2]) end
end
