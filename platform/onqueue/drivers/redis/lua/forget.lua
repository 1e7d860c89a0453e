-- Remove one waiting job, wherever it waits; the search of a ready list is as long as the list.
-- KEYS[1] parked      {onqueue:redis}:parked
-- KEYS[2] payloads    {onqueue:redis}:payloads
-- KEYS[3] state       {onqueue:redis}:state
-- KEYS[4] parking     {onqueue:redis}:parking
-- KEYS[5] ties        {onqueue:redis}:ties
-- KEYS[6] fair        {onqueue:redis}:fair
-- KEYS[7..] queues    ready and delayed of each queue
-- ARGV[1] id          of the job
-- ARGV[2] desk        names and keys of what its tie may change
-- Returns 1 removed, 0 it is not waiting
-- Flags allow-oom
-- Includes _desk _front _ended
local id, found = ARGV[1], 0
if redis.call('HEXISTS', KEYS[2], id) == 0 then return 0 end
local place = redis.call('HGET', KEYS[1], id)
if place then
  local lodging, lane = string.match(place, '([^\n]*)\n([^\n]*)$')
  redis.call('HDEL', KEYS[1], id)
  redis.call('LREM', lane, 1, id)
  redis.call('SREM', lodging, id)
  if redis.call('EXISTS', lane) == 0 then redis.call('SREM', KEYS[4], lane) end
  found = 1
end
for at = 7, #KEYS, 2 do
  if found == 0 then found = redis.call('ZREM', KEYS[at + 1], id) end
  if found == 0 then found = redis.call('LREM', KEYS[at], 1, id) end
end
local places = {found == 0 and lane_in(redis.call('HGET', KEYS[5], id)) or nil}
if found == 0 and not places[1] then
  local body = redis.call('HGET', KEYS[2], id)
  for _, queue in ipairs(redis.call('HKEYS', KEYS[6])) do places[#places + 1] = lane_told(told_of(KEYS[6], queue), body) or nil end
end
for _, place in ipairs(places) do
  local lane, ring, shares = unpack(place)
  if found == 0 then
    found = redis.call('LREM', lane, 1, id)
    if found == 1 and redis.call('EXISTS', lane) == 0 then leave_ring(ring, shares, lane) end
  end
end
if found > 0 then
  ended({id}, 'cancelled', KEYS[2], KEYS[3], desk_if(KEYS[5], ARGV[2]))
end
return found
