-- Includes _front
local function give_back_unstarted(holder_keys, keys_of, ties, payloads, budget)
  for spent = 1, budget do
    local id = redis.call('RPOP', holder_keys.unstarted)
    if not id then return budget - spent + 1 end
    local keys = keys_of[redis.call('HGET', holder_keys.held, id) or '']
    if keys then
      redis.call('HDEL', holder_keys.held, id)
      redis.call('LREM', holder_keys.unfinished, 1, id)
      to_front({id}, keys.ready, ties, payloads, keys.told)
      wake(keys.wake, 1)
    end
  end
  return 0
end

local function spend(state, id, kind, doom)
  local was = redis.call('HGET', state, id) or ''
  local attempts, exceptions, deaths = string.match(was, '^(%d+) (%d+) (%d+)')
  attempts, exceptions, deaths = tonumber(attempts) or 0, tonumber(exceptions) or 0, tonumber(deaths) or 0
  if kind ~= 'exit' then attempts = attempts + 1 end
  if kind == 'death' then deaths = deaths + 1 end
  local counters = string.format('%d %d %d %s', attempts, exceptions, deaths, doom)
  if attempts + exceptions + deaths > 0 or doom ~= '' then redis.call('HSET', state, id, counters) end
  return was
end
