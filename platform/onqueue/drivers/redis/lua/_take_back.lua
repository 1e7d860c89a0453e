-- What was handed to a holder that was making for a trip goes back: the trip picks by the order of the queues.
local function take_back(idle, holder, inbox, held, unstarted, unfinished, count)
  if redis.call('HDEL', idle, holder) == 1 then return end
  local item = redis.call('LPOP', inbox)
  local id = item and string.sub(item, 1, 32)
  if not id or redis.call('HDEL', held, id) == 0 then return end
  redis.call('LREM', unstarted, 1, id)
  redis.call('LREM', unfinished, 1, '>' .. id)
  for at = 1, count do
    if ARGV[9 + at] == string.match(item, '^[^\n]*', 33) then
      to_ready({id}, KEYS[6 + at * 3], true)
      wake(KEYS[8 + at * 3], 1)
    end
  end
end
