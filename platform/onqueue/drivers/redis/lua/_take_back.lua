-- What lies in a holder's inbox when it makes for a trip goes back: the trip picks by the order of the queues. What is not held, or has started, is an echo: it was taken before.
-- The keys of the first queue it serves begin at KEYS[trios], its name is ARGV[names].
local function take_back(idle, holder, inbox, held, unstarted, unfinished, trios, names, count)
  redis.call('HDEL', idle, holder)
  for _ = 1, redis.call('LLEN', inbox) do
    local item = redis.call('RPOP', inbox)
    local id, name = string.match(item, '^(' .. string.rep('.', 32) .. ')([^\n]*)')
    for at = 0, count - 1 do
      if ARGV[names + at] == name and redis.call('LREM', unstarted, 1, id) == 1 and redis.call('HDEL', held, id) == 1 then
        redis.call('LREM', unfinished, 1, '>' .. id)
        to_ready({id}, KEYS[trios + at * 3], true)
        wake(KEYS[trios + at * 3 + 2], 1)
      end
    end
  end
end
