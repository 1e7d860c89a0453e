-- Most of what is done was marked as such before.
local function strike_off(list, ids)
  local there = {}
  if #ids > 3 then
    for _, id in ipairs(redis.call('LRANGE', list, 0, -1)) do there[id] = true end
  end
  for _, id in ipairs(ids) do
    if #ids < 4 or there[id] then redis.call('LREM', list, 1, id) end
  end
end

local function confirm(held, unstarted, unfinished, payloads, state, desk, from, tie)
  if from > #ARGV then return {} end
  local known, mine, refused = redis.call('HMGET', held, unpack(ARGV, from)), {}, {}
  for at = 1, #known do
    local into = known[at] and mine or refused
    into[#into + 1] = ARGV[from + at - 1]
  end
  if #mine > 0 then
    redis.call('HDEL', held, unpack(mine))
    ended(mine, 'succeeded', payloads, state, desk, tie ~= '' and tie)
  end
  if redis.call('EXISTS', held) == 0 then
    redis.call('DEL', unstarted, unfinished)
  else
    strike_off(unstarted, mine)
    strike_off(unfinished, mine)
  end
  return refused
end
