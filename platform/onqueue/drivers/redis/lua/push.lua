-- Store jobs of one queue that are ready at once; a repetition of the last push is answered, not redone.
-- KEYS[1] payloads   {onqueue:redis}:payloads
-- KEYS[2] ready      {onqueue:redis}:ready:default
-- KEYS[3] wake       {onqueue:redis}:wake:default
-- KEYS[4] queues     {onqueue:redis}:queues
-- KEYS[5] pusher     {onqueue:redis}:pusher:5f0c:0
-- KEYS[6] ties       {onqueue:redis}:ties
-- KEYS[7] offers     {onqueue:redis}:offers:default, who waits for a job, and until when
-- KEYS[8] fair       {onqueue:redis}:fair
-- KEYS[9] ring       {onqueue:redis}:ring:default
-- KEYS[10] shares    {onqueue:redis}:shares:default
-- KEYS[11..] seen    {onqueue:redis}:seen:<id>, one a job, only when pushed once
-- ARGV[1] queue      its name
-- ARGV[2] sequence   number of this push of this pusher
-- ARGV[3] repeated   1 when an earlier answer to this sequence was lost, else 0
-- ARGV[4] once       ms for which an id is refused again
-- ARGV[5] tied       1 when each has a tie, else 0
-- ARGV[6] offset     ms added to the clock of the server (tests)
-- ARGV[7] lanes      what the keys of its lanes begin with, when payloads tell any, else ""
-- ARGV[8..] jobs     id, payload and, when tied, tie of each, or the weight and the name of the lane that its payload tells
-- Returns how many were new, -2 when an earlier attempt had stored them
-- Flags none
-- Includes _wake _ready _lanes
if ARGV[3] == '1' and redis.call('GET', KEYS[5]) == ARGV[2] then
  return -2
end
local new, stride = {}, 2 + ARGV[5]
if ARGV[7] ~= '' then redis.call('HSET', KEYS[8], ARGV[1], ARGV[7] .. '\n' .. KEYS[9] .. '\n' .. KEYS[10]) end
for at = 8, #ARGV, stride do
  local id, seen = ARGV[at], KEYS[11 + (at - 8) / stride]
  if not seen or redis.call('SET', seen, '1', 'NX', 'PX', ARGV[4]) then
    if redis.call('HSETNX', KEYS[1], id, ARGV[at + 1]) == 1 then
      new[#new + 1] = id
      if stride == 3 then
        local weight, name = string.match(ARGV[at + 2], '^(%d+) (.*)$')
        local tie = not name and cjson.decode(ARGV[at + 2])
        if tie then redis.call('HSET', KEYS[6], id, ARGV[at + 2]) end
        local place = name and {ARGV[7] .. name, KEYS[9], KEYS[10]} or tie.f
        if name then weight = weight ~= '1' and weight else weight = tie.w end
        if place then enter_lane(id, place, weight) else to_ready({id}, KEYS[2], false) end
      end
    end
  end
end
if #new == 1 and #ARGV == 9 and redis.call('EXISTS', KEYS[7]) == 1 and redis.call('EXISTS', KEYS[2]) == 0 then
  -- Here _hand
  if hand(KEYS[7], ARGV[1], new[1], ARGV[9], now_ms(ARGV[6])) then
    redis.call('SADD', KEYS[4], ARGV[1])
    new.handed = true
  end
end
if #new > 0 and not new.handed then
  if stride == 3 or to_ready(new, KEYS[2], false) == #new then
    redis.call('SADD', KEYS[4], ARGV[1])
  end
  wake(KEYS[3], #new)
end
redis.call('SET', KEYS[5], ARGV[2], 'EX', 60)
return #new
