local function confirm(held, unstarted, unfinished, payloads, state, desk, from)
  if from > #ARGV then return {} end
  local known, mine, refused = redis.call('HMGET', held, unpack(ARGV, from)), {}, {}
  for at = 1, #known do
    local into = known[at] and mine or refused
    into[#into + 1] = ARGV[from + at - 1]
  end
  if #mine > 0 then
    redis.call('HDEL', held, unpack(mine))
    ended(mine, 'succeeded', payloads, state, desk)
  end
  if redis.call('EXISTS', held) == 0 then
    redis.call('DEL', unstarted, unfinished)
  else
    for _, id in ipairs(mine) do
      redis.call('LREM', unstarted, 1, id)
      redis.call('LREM', unfinished, 1, id)
    end
  end
  return refused
end
