-- Go on with what a script left over: the next members of batches, links it had no time for.
-- KEYS[1] errands     {onqueue:redis}:errands
-- ARGV[1] desk        names and keys of what ties may change
-- Returns how many errands are left
-- Flags allow-oom
-- Includes _settlement
local todo = {}
for _ = 1, 100 do
  local parcel = redis.call('LPOP', KEYS[1])
  if not parcel then break end
  todo[#todo + 1] = parcel
  if head_of(parcel) == 'load' then break end
end
carry_out(desk_of(ARGV[1]), todo)
return redis.call('LLEN', KEYS[1])
