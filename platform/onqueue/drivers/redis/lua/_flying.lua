-- What had started and was not marked as done, when nothing is left that had not started. Of a trip whose jobs are run
-- one after the other that is the last one that is held; it is written down alone, for the next call.
local function in_flight(unfinished, held)
  local flying, order = {}, ''
  for _, entry in ipairs(redis.call('LRANGE', unfinished, 0, -1)) do
    if string.sub(entry, 1, 1) == '>' then order = order .. string.sub(entry, 2) else flying[entry] = true end
  end
  for at = #order - 31, 1, -32 do
    local id = string.sub(order, at, at + 31)
    if redis.call('HEXISTS', held, id) == 1 then
      redis.call('DEL', unfinished)
      redis.call('RPUSH', unfinished, id)
      flying[id] = true
      break
    end
  end
  return flying
end
