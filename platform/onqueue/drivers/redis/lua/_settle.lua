local function settle(held, unstarted, unfinished, id)
  if redis.call('HDEL', held, id) == 0 then
    return false
  end
  redis.call('LREM', unstarted, 1, id)
  redis.call('LREM', unfinished, 1, id)
  return true
end
