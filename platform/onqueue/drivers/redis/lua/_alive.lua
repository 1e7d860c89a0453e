local function alive(holders, holder)
  local expiry = redis.call('ZSCORE', holders, holder)
  return expiry and string.byte(expiry) ~= 45
end
