-- Includes _order
-- What had started and was not marked as done, when nothing is left that had not started. Of what is run one after the
-- other that is the last one that is held; it is written down alone, for the next call.
local function in_flight(unfinished, held)
  local flying, entries = {}, redis.call('LRANGE', unfinished, 0, -1)
  for _, entry in ipairs(entries) do
    if string.sub(entry, 1, 1) == '>' then
      local last = order_of_held(entries, held, 1)[1]
      redis.call('DEL', unfinished)
      if last then redis.call('RPUSH', unfinished, last) end
      return {[last or ''] = true}
    end
    flying[entry] = true
  end
  return flying
end
