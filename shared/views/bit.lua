
-- Keys: the bitmap; versions by member; offsets by member, and under the empty name
-- the next one. Arguments: the members, their versions, their bits. A call has at
-- most CHUNK / 2 members.

-- claimed returns the offsets of the members at those indexes, and gives one to each
-- that has none.
local function claimed(bitmap, offsets, from, indexes)
  local names = {''}
  for i = 1, #indexes do names[i + 1] = ARGV[from + indexes[i] - 1] end
  local places, given = call('HMGET', offsets, unpack(names)), {}
  -- Without a counter nobody has an offset: the bits that are there are nobody's.
  if not places[1] and call('STRLEN', bitmap) > 0 then call('SET', bitmap, '') end
  local free = tonumber(places[1] or 0)
  for i = 2, #names do
    if not places[i] then
      places[i] = free
      free = free + 1
      given[#given + 1] = names[i]
      given[#given + 1] = places[i]
    end
  end
  -- Before any bit is written: were one without an owner, nobody would clear it.
  if #given > 0 then call('HSET', offsets, '', free, unpack(given)) end
  return places
end

local function write(k, from, to, n)
  local bitmap, versions, offsets = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local stored = call('HMGET', versions, unpack(ARGV, from, from + n - 1))
  local letters, fresh, stamps = {}, {}, {}
  for i = 1, n do
    local version = ARGV[from + n + i - 1]
    if newer(stored[i], version) then
      letters[i] = 'a'
      fresh[#fresh + 1] = i
      stamps[#stamps + 1] = ARGV[from + i - 1]
      stamps[#stamps + 1] = version .. suffix
    else
      letters[i] = 's'
    end
  end
  if #fresh == 0 then return table.concat(letters) end

  local places = claimed(bitmap, offsets, from, fresh)
  for i = 1, #fresh do
    call('SETBIT', bitmap, places[i + 1], ARGV[from + 2 * n + fresh[i] - 1])
  end
  call('HSET', versions, unpack(stamps))
  return table.concat(letters)
end
