local function wake(list, tokens)
  local room = 64 - redis.call('LLEN', list)
  for _ = 1, math.min(tokens, room) do
    redis.call('RPUSH', list, '1')
  end
end
