-- Post a token for each queue that has jobs or a timer and no token: whoever was to look may be gone.
-- KEYS[1..] queues    ready, delayed, wake, timers and ring of each queue, at most 100 queues
-- Returns how many tokens were posted
-- Flags allow-oom
-- Includes _wake
local posted = 0
for at = 1, #KEYS, 5 do
  local waiting = redis.call('EXISTS', KEYS[at], KEYS[at + 1], KEYS[at + 3], KEYS[at + 4]) > 0
  if waiting and redis.call('EXISTS', KEYS[at + 2]) == 0 then
    -- A removal first lets the script pass on a full server older than 7.0.
    redis.call('DEL', KEYS[at + 2])
    wake(KEYS[at + 2], 1)
    posted = posted + 1
  end
end
return posted
