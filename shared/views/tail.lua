
-- The tail of every script: takes the keys one by one. A key that fails does not
-- keep its neighbours from being written.
local letters, errors = {}, {}
local deadline = tonumber(ARGV[1])
if deadline > now + tonumber(ttl) then
  return redis.error_reply('ERR the deadline is further away than a tombstone stays')
end
local expired = now >= deadline
local at = 6
if before then before() end
for k = 1, #KEYS, width do
  local n, count = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local from, to = at + 2, at + 1 + count
  if expired then
    letters[#letters + 1] = string.rep('x', n)
  else
    local ok, answer = pcall(write, k, from, to, n)
    if not ok then
      if type(answer) == 'table' then answer = answer.err end
      errors[#errors + 1] = KEYS[k] .. ': ' .. tostring(answer)
      answer = string.rep('f', n)
    end
    letters[#letters + 1] = answer
  end
  at = to + 1
end
if after then after() end
return {table.concat(letters), unpack(errors, 1, math.min(#errors, 10))}
