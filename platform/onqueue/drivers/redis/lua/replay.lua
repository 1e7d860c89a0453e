-- Put up to 100 jobs of a lane to the end of their queues.
-- KEYS[1] lane        {onqueue:redis}:parked:unknown:<name>
-- KEYS[2] parked      {onqueue:redis}:parked
-- KEYS[3] payloads    {onqueue:redis}:payloads
-- KEYS[4] parking     {onqueue:redis}:parking
-- Returns how many were put back
-- Flags allow-oom
-- Includes _wake _ready _unpark
local replayed = 0
while replayed < 100 and unpark(KEYS[1], KEYS[2], KEYS[3], KEYS[4], false) do
  replayed = replayed + 1
end
return replayed
