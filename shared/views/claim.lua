-- The head of every script. A script is given the keys of several views' keys, one
-- after the other (the shown key, then its companions), and
--
--   ARGV[1] deadline, ms since 1970 by this server's clock
--   ARGV[2] epoch of the database that the views were read from
--   ARGV[3] 1 if views of the version that is already there are written again
--   ARGV[4] how long a tombstone stays, ms
--   ARGV[5] how many keys belong to one key shown, itself included
--   then for each key shown: how many views, how many arguments, the arguments
--
-- It answers with one letter for each view (a applied, s stale, x expired,
-- f failed) and the errors of the keys that failed.
--
-- Between this file and tail.lua stands a kind's own: write(k, from, to, n), which
-- writes the n views of the key KEYS[k] from ARGV[from] to ARGV[to] and returns
-- their letters. It writes versions last, so that an error in the middle is made
-- good by applying again. And it doesn't delete a key that it touches again: where a
-- cluster's slot is being moved away, a key that is missing can't be touched (the
-- whole script is refused if one is missing at its start), and the script would stop
-- in the middle. A kind may also define before() and after(), which are run before
-- the first key and after the last.

local call, sub, find, tonumber, unpack = redis.call, string.sub, string.find, tonumber, unpack

local clock = call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local epoch, suffix = tonumber(ARGV[2]), '@' .. ARGV[2]
local again = ARGV[3] == '1'
local ttl = ARGV[4]
local width = tonumber(ARGV[5])

-- Most values that are unpacked onto Lua's stack at once; it holds about 7,900.
local CHUNK = 1000

-- newer says whether a view of this version goes over the stored version@epoch.
-- Versions and epochs are below 2^53, so comparing them as doubles is exact.
local function newer(stored, version)
  if not stored then return true end
  local at = #stored - #suffix
  if sub(stored, at + 1) ~= suffix then -- another epoch
    at = find(stored, '@', 1, true) - 1
    return epoch > tonumber(sub(stored, at + 2))
  end
  local have, want = tonumber(sub(stored, 1, at)), tonumber(version)
  return want > have or again and want == have
end

-- tells says whether a view that goes over the stored version is news to subscribers.
-- Most of what a rebuild writes was told before: all that goes over nothing, or over
-- the same version, be it of a lesser epoch.
local function tells(stored, version)
  return not again or stored and tonumber(string.match(stored, '^%d+')) ~= tonumber(version)
end

-- ms prints a time; Lua's own way of printing numbers would round it.
local function ms(time) return string.format('%.0f', time) end

local before, after
