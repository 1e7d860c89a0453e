-- Give a job back to the end of its queue, at once or after a delay, with new counters.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] held        {onqueue:redis}:held:<holder>
-- KEYS[3] unstarted   {onqueue:redis}:unstarted:<holder>
-- KEYS[4] unfinished  {onqueue:redis}:unfinished:<holder>
-- KEYS[5] state       {onqueue:redis}:state
-- KEYS[6] ready       {onqueue:redis}:ready:default
-- KEYS[7] delayed     {onqueue:redis}:delayed:default
-- KEYS[8] wake        {onqueue:redis}:wake:default
-- ARGV[1] holder      token
-- ARGV[2] id          of the job
-- ARGV[3] offset      ms added to the server's clock (tests)
-- ARGV[4] delay       ms
-- ARGV[5] attempts    spent from now on
-- ARGV[6] exceptions  counted from now on
-- ARGV[7] deaths      counted from now on
-- Returns 1 done, 0 the holder does not hold the job, -1 the lease is lost
-- Flags allow-oom
-- Includes _alive _clock _wake _postpone _settle _ready
if not alive(KEYS[1], ARGV[1]) then return -1 end
local id, delay = ARGV[2], tonumber(ARGV[4])
if not settle(KEYS[2], KEYS[3], KEYS[4], id) then return 0 end
if ARGV[5] == '0' and ARGV[6] == '0' and ARGV[7] == '0' then
  redis.call('HDEL', KEYS[5], id)
else
  redis.call('HSET', KEYS[5], id, ARGV[5] .. ' ' .. ARGV[6] .. ' ' .. ARGV[7])
end
if delay > 0 then
  postpone(KEYS[7], KEYS[8], id, now_ms(ARGV[3]) + delay)
else
  to_ready({id}, KEYS[6], false)
  wake(KEYS[8], 1)
end
return 1
